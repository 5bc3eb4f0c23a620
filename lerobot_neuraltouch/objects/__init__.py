"""Objects: seeded generators of mugs and bottles, user meshes, contact features with their errors, depth views."""
