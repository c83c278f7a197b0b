"""Bird's-eye images: what stands around a robot, seen from above. Encoders describe them, geometry/ aligns them."""
