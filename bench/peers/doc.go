// Package peers runs the programs that people use today for the benchmark's
// job, on the same jobs, the same simulator and the same Redis, with the same
// counting: they take jobs from the consumer that the worker takes them
// from, and publish outcomes and receipts to the results stream in the worker's
// shape, each under its Nats-Msg-Id.
//
// "node" is a worker on npm's smpp, redis and @nats-io packages in their newest
// released versions (node/worker.mjs). Per job: SET NX GET EX (claim) → submit_sm → SET EX
// (correlation), SET EX (outcome), GETDEL (parked receipt) → publish, PubAck →
// ack. Per receipt: GETEX → publish, PubAck → deliver_sm_resp. It is one
// process, and all of that process is counted.
//
// "kannel" is Debian's Kannel 1.4.5: bearerbox and smsbox, which are counted,
// and a bridge to JetStream (package bridge), which is not: its CPU time is
// reported apart, though it takes its share of the machine. The bridge posts
// each job to smsbox's sendsms over keep-alive HTTP and publishes what comes back by
// dlr-url, so that outcomes and receipts are counted as everywhere. Receipts are
// joined to jobs by Kannel's DLR storage in Redis, which Debian's build has.
// Kannel does less than the job asks for: it claims nothing, so that a job which comes
// again is sent again; its queues are in memory (no store-file); it answers a
// receipt before it has passed it on; and it drops a receipt that overtakes its
// submit_sm_resp on another bind, so that it is measured with receipts on the
// bind that submitted, the simulator's default.
package peers
