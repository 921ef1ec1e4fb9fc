"""What a schema is, and whom it fits: the live catalogue, its fingerprint, what changed between two, what a service
or a client needs of it, and the gate that is made of them."""
