"""One module for each Lambda function: read the event, call one use case, answer."""
