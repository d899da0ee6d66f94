package cli

type queueCmd struct {
	Create queueCreateCmd `cmd:"" help:"Make a queue and its dead letter queue in SQS."`
	Check  queueCheckCmd  `cmd:"" help:"Compare the queues in SQS with what is needed, and say how to mend them."`
}

// Help says what the queue is for.
func (queueCmd) Help() string {
	return "Without SQS the database wakes the workers. With it a hint of each due job travels through a queue, and poison messages " +
		"end in a dead letter queue. The settings are SQS_QUEUE_URL, SQS_DLQ_URL and those of the AWS SDK.\n\n" +
		examples("directorybolt queue create directorybolt --dry-run", "directorybolt queue check")
}
