"""Second floor: batches, augmentation, losses, schedules, stages and run folders. Models and arrays arrive as arguments."""
