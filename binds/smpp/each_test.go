package smpp

import "context"

// Each makes a Handler of one that takes a single message and returns the
// command_status to answer; it runs in a goroutine for each.
func Each(handle func(ctx context.Context, in *Inbound) (status uint32)) func(ctx context.Context, burst []*Inbound) {
	return func(ctx context.Context, burst []*Inbound) {
		for _, in := range burst {
			go func() { in.Answer(handle(ctx, in)) }()
		}
	}
}
