"""What a model family is, and the models that come with Sensorium."""
