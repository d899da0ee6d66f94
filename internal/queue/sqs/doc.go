// Package sqs keeps the contract of queue with AWS SQS, standard queues and FIFO
// ones. It is the only room that speaks to AWS, and nothing of it runs where no
// queue is set.
//
// What SQS calls the visibility timeout is here a message's being hidden. Batches
// hold ten entries and 1 MiB; a batch that is answered with 200 may still have
// entries that failed, and those whose fault it was not are sent again. An error
// names the permission, the key or the setting that mends it: see [Error].
//
// A standard queue delivers at least once and in any order; a FIFO queue lets only
// one message of a group be held at a time. A hint's group is its job on a FIFO queue,
// so that jobs never wait for each other, and its customer on a standard one, where
// groups only keep one customer's flood from delaying the others.
package sqs
