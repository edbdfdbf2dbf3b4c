"""Networks that users know from Keras."""
