/** Where a server is in its life (`SRV-10`), in the order of occurrence. A fast stop leaves out the graceful ones. */
export type ExecutionPhase =
  | "Setup"
  | "Bootstrap"
  | "BootstrapComplete"
  | "Running"
  | "GracefulUpgradeTransferringFds"
  | "GracefulUpgradeCloseTimeout"
  | "GracefulTerminate"
  | "ShutdownStarted"
  | "ShutdownGracePeriod"
  | "ShutdownRuntimes"
  | "Terminated";
