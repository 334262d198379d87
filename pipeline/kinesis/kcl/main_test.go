package kcl

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	muteLibrary() // the bare library too
	goleak.VerifyTestMain(m)
}
