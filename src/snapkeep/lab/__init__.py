"""The laboratory: what the product is tried in. The product never imports it."""
