package receipts

// keys names what is kept in Redis. Keys that one step touches together share
// a hash tag, so that they share a slot in Redis Cluster.
//
// The ledger is scoped by producer and job, not by route: a job must not be
// submitted twice by being sent to another route. Message ids are scoped by
// route: two SMSCs may give out the same.
type keys struct {
	ledger  string // + {producer:job}: record of the job
	finals  string // + {producer:job}: hash, part number → final state
	ids     string // + {route:message id}: the part that has it
	parked  string // + {route:message id}: list of receipts without a job
	verdict string // + {route:result id}: whether a parked receipt has a job; see decideScript
	due     string // + {route}: sorted set of what is parked, by when it is due, in Unix milliseconds
	lease   string // + worker id: present while the worker lives
	set     string // + {route}: + hash of sender and reference: inbound messages that wait for parts, and those just published
	setDue  string // + {route}: sorted set of the messages in those, by when they are due, in Unix milliseconds
	epoch   string // hash: since when Redis has kept what it was given; see epoch
	routes  string // set of the routes that ever parked a receipt, or a part
}

func newKeys(prefix string) keys {
	return keys{
		ledger: prefix + ":j:{", finals: prefix + ":f:{", ids: prefix + ":c:{", parked: prefix + ":p:{",
		verdict: prefix + ":v:{",
		set:     prefix + ":m:{", setDue: prefix + ":n:{",
		due: prefix + ":d:{", lease: prefix + ":w:{", routes: prefix + ":routes", epoch: prefix + ":epoch",
	}
}

func (k *keys) job(producer, job string) string       { return k.ledger + producer + ":" + job + "}" }
func (k *keys) jobFinals(producer, job string) string { return k.finals + producer + ":" + job + "}" }
func (k *keys) id(route, id string) string            { return k.ids + route + ":" + id + "}" }
func (k *keys) parking(route, id string) string       { return k.parked + route + ":" + id + "}" }
func (k *keys) decision(route, result string) string  { return k.verdict + route + ":" + result + "}" }

func (k *keys) appendJob(b []byte, producer, job string) []byte {
	return appendKey(b, k.ledger, producer, job)
}
func (k *keys) appendID(b []byte, route, id string) []byte { return appendKey(b, k.ids, route, id) }
func (k *keys) appendParking(b []byte, route, id string) []byte {
	return appendKey(b, k.parked, route, id)
}

func appendKey(b []byte, prefix, scope, name string) []byte {
	b = append(b, prefix...)
	b = append(b, scope...)
	b = append(b, ':')
	b = append(b, name...)
	return append(b, '}')
}

func (k *keys) dueIndex(route string) string     { return k.due + route + "}" }
func (k *keys) joining(route, set string) string { return k.set + route + "}:" + set }
func (k *keys) joinDue(route string) string      { return k.setDue + route + "}" }
func (k *keys) worker(id string) string          { return k.lease + id + "}" }
