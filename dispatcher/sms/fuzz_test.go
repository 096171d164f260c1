package sms_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// FuzzDecodeJob: nothing panics; what is accepted passes Validate and the
// schema, reads the same with encoding/json, and is stable when encoded and
// decoded again; what is refused is refused as invalid.
func FuzzDecodeJob(f *testing.F) {
	files, _ := filepath.Glob("testdata/golden/job-*.json")
	for _, file := range files {
		golden, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(golden)
	}
	for _, tt := range badJobs {
		if len(tt.job) < 10_000 {
			f.Add([]byte(tt.job))
		}
	}
	for _, tt := range goodJobs {
		f.Add([]byte(tt.job))
	}
	s := schema(f, "job")
	f.Fuzz(func(t *testing.T, data []byte) {
		id := sms.JobID(data)
		job, err := sms.DecodeJob(data)
		if err != nil {
			if sms.CodeOf(err) != sms.CodeInvalid || job != nil {
				t.Fatalf("%v with %v", job, err)
			}
			return
		}
		if id != job.ID {
			t.Errorf("JobID %q, id %q", id, job.ID)
		}
		if err := job.Validate(); err != nil {
			t.Errorf("Validate: %v", err)
		}
		if err := conforms(s, data); err != nil {
			t.Errorf("schema: %v", err)
		}
		var plain sms.Job
		strict(t, data, &plain)
		plain.Encoding, plain.Delivery = job.Encoding, job.Delivery
		if len(plain.TLVs) == 0 {
			plain.TLVs = nil
		}
		if diff := cmp.Diff(&plain, job); diff != "" {
			t.Errorf("encoding/json reads another job (-want +got):\n%s", diff)
		}
		checkStable(t, job)
	})
}

func checkStable(t *testing.T, job *sms.Job) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it would lengthen a meta that is at its limit
	if err := enc.Encode(job); err != nil {
		t.Fatal(err)
	}
	again, err := sms.DecodeJob(b.Bytes())
	if err != nil {
		t.Fatalf("encoded as %s: %v", b.Bytes(), err)
	}
	if job.Meta != nil {
		job.Meta = json.RawMessage(compact(t, job.Meta))
	}
	if diff := cmp.Diff(job, again); diff != "" {
		t.Errorf("decoded again (-want +got):\n%s", diff)
	}
}

// FuzzJobID: JobID never panics and returns valid ids only.
func FuzzJobID(f *testing.F) {
	f.Add([]byte(`{"id":"a","x":[{"id":"b"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		id := sms.JobID(data)
		if id == "" {
			return
		}
		job := sms.Job{ID: id, To: "1", Data: []byte{}}
		if err := job.Validate(); err != nil {
			t.Error(err)
		}
	})
}
