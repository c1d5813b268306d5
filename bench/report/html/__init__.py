"""Summary -> report.html: one file that needs neither a server nor the network."""
