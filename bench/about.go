package main

// What each phase measures, as RESULTS.md says it.
const (
	aboutDrain = `A backlog is published while nobody takes it; then the contender is started. The clock runs from the first submit_sm until the last
receipt stands in the results stream. The floor does the same I/O with no dispatcher: no limits, lanes, retries or redelivery. "Rate" and
"CPU" compare with the floor.`

	aboutOpen = `Jobs are published at an even rate whether or not anybody keeps up. submit_sm: from the moment a job was handed to the publisher's
connection until the SMSC read its submit_sm. Receipt: from the moment the SMSC sent deliver_sm until its result was stored. The
publisher is a process on the same two cores, which the drain has to itself; how far behind its own plan it was stands beside it. Jobs that wait at
the end say that a rate was too much. The first second is left out.`

	aboutBurst = `The system rests for two seconds; then jobs are published all at once, or one every quarter of a second: a lone job must not wait for
company.`

	aboutLong = `Half the maximum, for long. The table after this one has a look at it every minute: latency is of what was published since the look
before.`

	aboutStorm = `The SMSC keeps all receipts back until every job is submitted, then sends them as fast as they are taken, with no sending beside them.
"Rate" and "CPU" compare with the floor.`

	aboutRoutes = `Eight binds and windows of 4,000 in all, spread over the routes; jobs evenly over all routes. From a backlog as fast as it goes, and
at half the maximum, where cost can be compared.`

	aboutBinds = `Windows of 4,000 in all, spread over the binds of one route. From a backlog as fast as it goes, and at half the
maximum, where cost can be compared.`

	aboutWindows = `Outstanding submit_sm per bind, at the usual number of binds.`

	aboutParts = `Messages that a job becomes; each has its receipt.`

	aboutPayload = `Texts of as many characters in one message.`

	aboutLatency = `How long the SMSC takes to answer a submit_sm. The sum of the windows bounds the rate: 4,000 at 200 ms are at most 20,000/s.`

	aboutGrowth = `Backlogs of different length, each drained to the end, and message ids of earlier messages in Redis: as many as come in a day at an average of
116 messages per second (10,000,000), or as fit in 4 GiB.`

	aboutWorkers = `The same rate, half the maximum, by one or several workers on one account: eight binds and windows of 4,000 in all. Memory and CPU are those
of all workers together.`
)
