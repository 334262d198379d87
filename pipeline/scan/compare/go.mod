module rootwatch/pipeline/scan/compare

go 1.26.0

require (
	github.com/goccy/go-json v0.10.5
	github.com/segmentio/encoding v0.5.3
	rootwatch v0.0.0
)

require (
	github.com/segmentio/asm v1.1.3 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace rootwatch => ../../..
