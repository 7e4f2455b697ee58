"""Range vectors: windows of raw samples, and every function over them."""
