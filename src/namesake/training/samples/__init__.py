"""Training samples: archives, masks and regions become images and targets, augmented; each is a function of a seed."""
