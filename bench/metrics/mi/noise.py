"""What makes MI of a net's features finite: Gaussian noise on the published code."""

SIGMA = 1.0  # of the noise, in standard deviations that clean has in each dimension of the code
