"""The server's side of AWS's wire protocols, driven by botocore's service models (botocore has the client's side only)."""
