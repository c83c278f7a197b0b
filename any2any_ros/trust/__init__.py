"""From scores to what a robot may believe: probability, place set, accepted or not; drift; past rankings."""
