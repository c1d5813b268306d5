"""Mutual information between features of clean and of published images: estimators that state their error."""
