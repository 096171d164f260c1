package sms_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const typicalJob = `{"id":"01JQ8Z6M3T5V7X9A1C3E5G7J9K","to":"+447700900123","from":"ACME","text":"Your code is 123456. It expires in 10 minutes.","receipt":"final","expires_at":"2030-03-01T12:05:00Z","meta":{"tenant":"blue","order":1042}}`

func BenchmarkDecodeJob(b *testing.B) {
	full, err := os.ReadFile("testdata/golden/job-full.json")
	if err != nil {
		b.Fatal(err)
	}
	escaped := strings.Replace(typicalJob, "Your code", `Votre num\u00e9ro\nYour code`, 1)
	for name, job := range map[string][]byte{"typical": []byte(typicalJob), "escaped": []byte(escaped), "full": full} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sms.DecodeJob(job); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("refused 1 MiB", func(b *testing.B) {
		job := make([]byte, 1<<20)
		for b.Loop() {
			if _, err := sms.DecodeJob(job); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

func BenchmarkResult(b *testing.B) {
	golden, err := os.ReadFile("testdata/golden/result-receipt.json")
	if err != nil {
		b.Fatal(err)
	}
	var r sms.Result
	if err := json.Unmarshal(golden, &r); err != nil {
		b.Fatal(err)
	}
	r.Meta = json.RawMessage(compact(b, r.Meta))
	b.Run("AppendJSON", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf, _ = r.AppendJSON(buf[:0])
		}
	})
	b.Run("encoding json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(&r)
		}
	})
}

func BenchmarkSubjects(b *testing.B) {
	var s sms.Subjects
	b.Run("ParseOrigin", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.ParseOrigin("sms.jobs.acme.normal.shop")
		}
	})
	b.Run("Results", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = s.Results("shop", "acme", sms.KindReceipt)
		}
	})
	b.Run("ReceiptID", func(b *testing.B) {
		b.ReportAllocs()
		done := time.Unix(1_700_000_000, 0)
		for b.Loop() {
			_ = sms.ReceiptID("acme", "a1b2c3d4", sms.StateDelivered, "000", &done)
		}
	})
}
