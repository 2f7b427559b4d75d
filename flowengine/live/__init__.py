"""What goes on in one engine right now: the picture, its changes, how they are told over HTTP, and who reads them."""
