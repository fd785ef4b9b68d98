// Verify-bundle verifies a Sigstore bundle around a DSSE envelope by sigstore-go, offline, against a public key and an artifact.
//
// Usage: verify-bundle KEY.pem BUNDLE.json ARTIFACT
//
// It prints the statement's predicate type and ends with 0 when the bundle holds, with 1 when it does not, and with 2
// when it was called wrongly.
package main

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: verify-bundle KEY.pem BUNDLE.json ARTIFACT")
		os.Exit(2)
	}
	predicateType, err := verifyBundle(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("verified", predicateType)
}

func verifyBundle(keyPath, bundlePath, artifactPath string) (string, error) {
	key, err := signature.LoadVerifierFromPEMFile(keyPath, crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	entity, err := bundle.LoadJSONFromPath(bundlePath)
	if err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	artifact, err := os.Open(artifactPath)
	if err != nil {
		return "", fmt.Errorf("artifact: %w", err)
	}
	defer artifact.Close()

	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(key, time.Time{}, time.Time{}), nil
	})
	// A key has no validity period, so no timestamp has to say when it was used.
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		return "", fmt.Errorf("verifier: %w", err)
	}
	result, err := verifier.Verify(entity, verify.NewPolicy(verify.WithArtifact(artifact), verify.WithKey()))
	if err != nil {
		return "", err
	}
	if result.Statement == nil {
		return "", errors.New("the bundle holds no statement")
	}
	return result.Statement.GetPredicateType(), nil
}
