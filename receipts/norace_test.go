//go:build !race

package receipts

const raceDetector = false
