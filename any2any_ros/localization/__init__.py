"""From single answers to where the robot is: answers are held against each other along its way."""
