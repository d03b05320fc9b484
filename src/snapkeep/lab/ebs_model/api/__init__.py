"""The actions of EC2, the EBS direct APIs and KMS: one module for each group of them."""
