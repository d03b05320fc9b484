"""The laboratory, in which the product runs without AWS. The product never imports it."""
