"""What annotation tools write and read."""
