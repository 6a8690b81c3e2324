"""Every trust figure over a whole data set."""
