"""Published numbers beside ours, and a verdict for each."""
