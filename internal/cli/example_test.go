package cli

import (
	"bytes"
	"os"
	"testing"
)

func TestTheDemoOrdersForTheBusinessOfTheExamples(t *testing.T) {
	want, err := os.ReadFile("../../examples/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(exampleProfile, want) {
		t.Error("example.yaml differs from examples/profile.yaml; copy it")
	}
	if b := exampleBusiness(); b.Name == "" || b.Website == "" {
		t.Errorf("the example business is %+v", b)
	}
}
