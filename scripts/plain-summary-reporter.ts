import { DefaultReporter, type TestModule } from "vitest/node";

type RunEnd = DefaultReporter["onTestRunEnd"];

/**
 * Vitest's own report, and after it one plain last line for people and programs alike: `N passed, N failed`, with
 * `, N skipped` only if something was skipped.
 */
export class PlainSummaryReporter extends DefaultReporter {
  override onTestRunEnd(...[modules, unhandledErrors, reason]: Parameters<RunEnd>): void {
    super.onTestRunEnd(modules, unhandledErrors, reason);
    this.log(summaryLine(modules, unhandledErrors.length));
  }
}

/**
 * Counts the tests of a run. A file or a group that fails outside its tests (it does not load, a hook throws) and an
 * error that no test caught count as one failure each, so that a broken run never reads as a good one.
 */
export function summaryLine(modules: readonly TestModule[], unhandledErrors: number): string {
  let passed = 0;
  let failed = unhandledErrors;
  let skipped = 0;
  for (const module of modules) {
    failed += errorsOutsideTests(module);
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") passed++;
      else if (state === "failed") failed++;
      else skipped++;
    }
  }
  const line = `${passed} passed, ${failed} failed`;
  return skipped > 0 ? `${line}, ${skipped} skipped` : line;
}

function errorsOutsideTests(module: TestModule): number {
  const groups = [...module.children.allSuites()];
  return [module, ...groups].filter((part) => part.errors().length > 0).length;
}
