"""What goes over the wire, one file a resource; the OpenAPI document is generated from these."""
