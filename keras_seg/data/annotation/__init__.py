"""What annotation tools write and read: a file a format, between which all are shapes in pixels."""
