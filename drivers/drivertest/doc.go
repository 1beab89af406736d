// Package drivertest is the conformance suite for graph drivers: what it does
// not test, a store may not rely on.
//
// A driver's test calls Run with its constructor and with Traits, which say
// what the driver lacks. The suite never asks which driver it tests; what is
// not declared as lacking has to work.
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, mydriver.Open, drivertest.Traits{})
//	}
//
// Every exported method of the suite's type whose name begins with Test is a
// test and runs with a home of its own. When it ends, everything must be
// unmountable and no mount be left below the home.
package drivertest
