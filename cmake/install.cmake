# SPDX-License-Identifier: Apache-2.0
# Installation: the headers, and the packages that find_package(frugal) and pkg-config read. All of it may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/frugal")
install(DIRECTORY include/frugal DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/doc/frugal")
install(TARGETS frugal EXPORT frugal INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT frugal NAMESPACE frugal:: FILE frugal-targets.cmake DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/frugal-config-version.cmake" VERSION ${PROJECT_VERSION}
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/frugal-config.cmake cmake/components.cmake "${PROJECT_BINARY_DIR}/frugal-config-version.cmake"
        DESTINATION "${package_dir}")

# frugal.pc finds its prefix from its own folder, if that is below it.
set(pc_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
if(NOT IS_ABSOLUTE "${pc_dir}")
  file(RELATIVE_PATH pc_prefix "/${pc_dir}" /)
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
endif()
set(pc_include "${CMAKE_INSTALL_INCLUDEDIR}")
if(NOT IS_ABSOLUTE "${pc_include}")
  set(pc_include "\${prefix}/${pc_include}")
endif()
configure_file(cmake/frugal.pc.in frugal.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/frugal.pc" DESTINATION "${pc_dir}")
