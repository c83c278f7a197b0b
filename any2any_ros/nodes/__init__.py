"""The ROS 2 nodes. No other folder imports rclpy or message packages."""
