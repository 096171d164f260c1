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
package peers
