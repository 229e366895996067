"""Statistics on arrays: ranking, calibration, logistic regression."""
