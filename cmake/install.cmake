# SPDX-License-Identifier: Apache-2.0
# Installation: the headers, and a package that find_package(frugal) understands.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/frugal")
install(DIRECTORY include/frugal DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS frugal EXPORT frugal)
install(EXPORT frugal NAMESPACE frugal:: FILE frugal-config.cmake DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/frugal-config-version.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/frugal-config-version.cmake" DESTINATION "${package_dir}")
