#!/usr/bin/env bash
# An example of a producer with the nats command: publishes one job and reads
# its results.
#
#   deploy/examples/cli/shop.sh nats://127.0.0.1:4222 acme order-1042 +447700900123 "Your parcel is on its way."
set -euo pipefail
[ $# -eq 5 ] || { echo "usage: shop.sh URL ROUTE ID NUMBER TEXT" >&2; exit 2; }
export NATS_URL=$1
route=$2 id=$3 to=$4 text=$5 producer=shop

# A request, not a pub: the answer is the PubAck. Without one, the job was not accepted.
job=$(jq -nc --arg id "$id" --arg to "$to" --arg text "$text" '$ARGS.named')
nats request "sms.jobs.$route.normal.$producer" "$job" --header "Nats-Msg-Id:$id" --raw --timeout 5s

nats consumer add SMS_RESULTS "$producer-example" --filter "sms.results.$producer.>" --pull --deliver all --ack explicit --defaults >/dev/null
# The outcome, then the receipt.
nats consumer next SMS_RESULTS "$producer-example" --count 2 --ack --raw --timeout 30s
