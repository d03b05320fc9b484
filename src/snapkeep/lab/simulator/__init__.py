"""The policy and fault simulator: use cases over the model of EBS in virtual time."""
