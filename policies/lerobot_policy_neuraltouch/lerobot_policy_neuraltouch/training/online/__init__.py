"""Online training of the refiner: players gather experience, a learner learns from it."""
