"""Share DR copies with vaults, and take the shares back."""
