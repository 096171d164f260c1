package jetstream

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var ownHeader = regexp.MustCompile(`Shortwire-[A-Za-z-]+:`)

func TestTheAsyncAPIDocumentHasTheHeadersOfDeadLetters(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../deploy/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Compact(slices.Sorted(slices.Values(ownHeader.FindAllString(string(doc), -1))))
	var want []string
	for _, h := range []string{
		headerReason, headerCode, headerKind, headerAttempts, headerJobID, headerSubject, headerStatus, headerStatusName, headerTime,
		headerTruncated, headerReplay, headerParts, headerVia, headerDoubt,
	} {
		want = append(want, h+":")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-code +document):\n%s", diff)
	}
}
