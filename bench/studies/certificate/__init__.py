"""The certificate: every estimator against what is known to be true."""
