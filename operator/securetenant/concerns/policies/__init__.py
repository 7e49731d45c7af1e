"""The admission policies and roles of this version, and who may get around them."""
