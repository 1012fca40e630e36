"""From a data set to the batches of training and evaluation, with tf.data."""
