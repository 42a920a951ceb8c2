package e2e

const fakeFleetEnv = "OCCAMY_E2E_FLEET"

func runFakeFleet() int { return 0 }
